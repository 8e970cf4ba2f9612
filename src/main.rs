fn main() -> std::process::ExitCode {
    twinopt::cli::main()
}
