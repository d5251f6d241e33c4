//! The command line: one command, one file. Commands parse, call and print; what they do
//! is the services' work.

pub mod demo;
