//! The Lambda `api`.

use refit_functions::{Error, serve_api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve_api().await
}
