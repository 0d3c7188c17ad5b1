//! What the Lambdas' composition roots share.
