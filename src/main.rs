//! The `cdp` binary: everything is in the library, see `cdp::cli`.

fn main() -> std::process::ExitCode {
    cdp::cli::run()
}
