"""An exported file on labelled images: which images, its answers, its latency. Needs no torch."""
