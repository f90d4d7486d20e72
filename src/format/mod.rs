//! Other files to ONNX: Keras HDF5 today.
