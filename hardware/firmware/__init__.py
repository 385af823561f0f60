"""The rig's firmware: an Arduino sketch, its protocol (PROTOCOL.md), and a build without the Arduino IDE."""
