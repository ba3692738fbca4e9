//! What a spoiled disk leaves.
