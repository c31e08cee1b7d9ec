//! Image kernels on luma: pyramids, contrast normalisation, warps.
