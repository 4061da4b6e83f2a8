"""Generated films with exact flow: planes textured with photographs (`sample`) that move (`plane_motion`, `scene`)."""
