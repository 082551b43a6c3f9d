"""Every network, as PyTorch modules (extra ``train``). Inference runs the ONNX files that ``export`` writes."""
