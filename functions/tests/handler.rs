//! The handler of a Lambda names its function.

#[test]
fn a_handler_that_names_no_function_is_told_which_do() {
    for handler in ["", "bootstrap"] {
        let error = refit_functions::run(handler).expect_err("no function").to_string();
        assert!(error.starts_with(&format!("`_HANDLER` is `{handler}`")), "{error}");
        assert!(refit_functions::handlers().all(|it| error.contains(it)), "{error}");
    }
}
