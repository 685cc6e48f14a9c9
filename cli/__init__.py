"""The command line: one subcommand per file.

    main.py        the group `nicodec`: finds subcommands, turns errors into one line and an exit code
    options.py     options that several subcommands share
    rate.py        options for rate and quality
    paths.py       which input becomes which output
    streams.py     stdin and stdout as files
    pictures.py    opens what may be an image or a .nic file
    background.py  puts a colour behind a transparent picture
    batch.py       several inputs in one call
    console.py     what is said on stdout and stderr, progress
    failures.py    how an error reads on one line
    tables.py      aligned columns
    extras.py      says which optional part of nicodec is missing

Each other file is the subcommand of its name and defines `command`. Only click and the standard library are imported
at the top level of these files, so that `nicodec --help` answers at once.
"""
