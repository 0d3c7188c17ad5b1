//! The Lambda `publish-events`.

use refit_handlers::Function;

fn main() -> Result<(), refit_functions::Error> {
    refit_functions::run(Function::PublishEvents)
}
