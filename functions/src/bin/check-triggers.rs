//! The Lambda `check-triggers`.

use refit_handlers::Function;

fn main() -> Result<(), refit_functions::Error> {
    refit_functions::run(Function::CheckTriggers)
}
