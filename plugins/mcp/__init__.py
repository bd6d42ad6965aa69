"""MCP: connects to MCP servers and offers their tools as actions, under the same gate as everything else."""

from plugins.mcp.plugin import Mcp

PLUGIN_CLASS = Mcp
