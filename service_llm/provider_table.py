"""The registry of providers: one entry adds one, by the import path of its class."""

PROVIDERS = {
    "gemini": "service_llm.providers.gemini:Gemini",
    "openai": "service_llm.providers.openai_compatible:OpenAICompatible",
}
"""Clients of language models by `service_llm.provider`; each is made from `ServiceLLMSettings`."""

EMBEDDERS = {
    "gemini": "service_llm.providers.embeddings:GeminiEmbeddings",
    "openai": "service_llm.providers.embeddings:OpenAIEmbeddings",
}
"""Clients of embedding models by `embedder.provider`; each is made from `EmbedderSettings`."""
