//! The Lambda `promote-model`.

use refit_functions::{Error, Root};
use refit_handlers::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Root::init(Function::PromoteModel).await?.serve().await
}
