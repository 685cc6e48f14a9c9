"""`keras.ops`, typed as anything.

Its functions carry no annotations; what a type checker infers from whichever backend it reads first is wrong.
"""

from typing import Any

import keras

ops: Any = keras.ops
