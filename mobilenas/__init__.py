"""mobilenas"""
