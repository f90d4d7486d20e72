//! The repair flow: model file and data sets in, bundle out.
