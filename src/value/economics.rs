//! Money over the years: NPV, payback, IRR, ROI.
