"""File formats of point clouds and meshes; `s4token_model.files` is the way in."""
