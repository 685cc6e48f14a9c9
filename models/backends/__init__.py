"""Inference runtimes, one file each; `nicodec.models.runtime` imports the one that is asked for.

Every file offers `load(model, part, threads)`, which returns a callable with the arrays that `nicodec.models.runtime`
describes. Exceptions of the runtime pass through: the caller turns them into errors of nicodec.
"""
