//! Reports of a sweep and of the final table: CSV, SVG and PNG plot, terminal tables.

mod csv;
mod plot;
mod policies;
mod raster;
mod table;

pub use csv::sweep_csv;
pub use plot::sweep_svg;
pub use policies::{gated_report, policy_table};
pub use raster::sweep_png;
pub use table::{drops_table, evaluation_table, masked_because, repaired_sentence};
