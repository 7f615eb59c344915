//! The web: API, pages, live feed, and charts and maps drawn by plotters.
