"""A trained model as one ONNX file: from samples, or from frames, to log posteriors."""
