//! One offline HTML file.
