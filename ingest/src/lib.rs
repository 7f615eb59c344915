//! From raw messages to checked points: sources, decoding by profile, validation, the pipeline.
