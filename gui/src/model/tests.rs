//! The model's rules that span its parts.
