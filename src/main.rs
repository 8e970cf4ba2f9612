fn main() -> std::process::ExitCode {
    twinopt::cli_main()
}
