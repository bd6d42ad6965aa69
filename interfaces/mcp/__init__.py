"""MCP: serves Rekku's actions to an MCP client, which calls them as a principal of its own."""

from interfaces.mcp.interface import McpInterface

PLUGIN_CLASS = McpInterface

__all__ = ["PLUGIN_CLASS", "McpInterface"]
