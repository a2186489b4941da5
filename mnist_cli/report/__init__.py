"""What a person looks at: evaluation, figures, TensorBoard."""
