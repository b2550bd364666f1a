"""The Streamlit dashboard: it reads the database and submits jobs; it never computes."""
