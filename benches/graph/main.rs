//! What a decision costs against the size of the person that it is about and against the
//! size of the store: flat, or it would not stay fast. Read the rows of one run against each
//! other; `docs/BENCHMARKS.md` says what they were.

mod bed;
mod pure;
mod store;

fn main() {
    divan::main();
}
