//! Every Lambda: the handler that a function is deployed with says which of them it is.

fn main() -> Result<(), refit_functions::Error> {
    refit_functions::run(&std::env::var("_HANDLER").unwrap_or_default())
}
