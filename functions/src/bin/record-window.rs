//! The Lambda `record-window`.

use refit_functions::{Error, Root};
use refit_handlers::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Root::init(Function::RecordWindow).await?.serve().await
}
