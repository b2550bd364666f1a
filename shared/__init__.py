"""What the dashboard, the command line and the workers agree on: no torch, no streamlit."""
