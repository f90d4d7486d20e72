//! Policies beside disagreement: region transplant, suspect labels.
