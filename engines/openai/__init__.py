"""Any OpenAI-compatible server (OpenAI, Ollama, vLLM, llama.cpp, OpenRouter), by Chat Completions."""

from engines.openai.engine import OpenAIEngine

PLUGIN_CLASS = OpenAIEngine
