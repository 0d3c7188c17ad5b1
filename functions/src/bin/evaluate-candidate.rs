//! The Lambda `evaluate-candidate`.

use refit_functions::{Error, Root};
use refit_handlers::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Root::init(Function::EvaluateCandidate).await?.serve().await
}
