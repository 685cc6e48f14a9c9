"""YCbCr as JFIF 1.02 defines it: BT.601 with full range."""

import numpy as np

# Rows are Y, Cb and Cr; columns R, G and B.
TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])

# Rows are what Y, Cb and Cr, less their middle, add to R, G and B.
FROM_YCC = np.array([[1.0, 1.0, 1.0], [0.0, -0.344136, 1.772], [1.402, -0.714136, 0.0]])

LUMA = TO_YCC[0]
