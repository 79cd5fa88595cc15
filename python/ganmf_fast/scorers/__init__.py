"""Forms of fitted models from which scores and top-N lists are computed."""
