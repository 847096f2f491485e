"""Kernels for tensors on a GPU, in Triton."""
