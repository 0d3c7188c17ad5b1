//! The Lambda `api`.

fn main() -> Result<(), refit_functions::Error> {
    refit_functions::run_api()
}
