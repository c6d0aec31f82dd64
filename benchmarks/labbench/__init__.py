"""What benchmarks over a lab share: the programs, running one over a list of sizes, labs, figures."""
