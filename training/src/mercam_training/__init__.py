"""Trains mercam's DeRe-GRL network on landmark movements and exports it as fp32 and int8 ONNX."""
