//! A native program that does nothing: what is measured around it is the jar.

fn main() {}
