"""The screens: one file a screen, one file a widget. They know the engine by its api, its views and its words only."""
