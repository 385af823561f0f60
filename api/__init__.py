"""The service: one file is one resource. Nothing is here yet; the campaign file of `frugaltwin.spec` is what it will take."""
