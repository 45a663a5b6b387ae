"""The ROS 2 node around `s4token_model`."""
