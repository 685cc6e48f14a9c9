"""Full-reference picture quality: two arrays in, one number out.

psnr.py   peak signal-to-noise ratio
ssim.py   SSIM and multi-scale SSIM (MS-SSIM)
"""
